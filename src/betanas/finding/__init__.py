"""From a folder of images and a time to a checked model: `betanas find`.

A search, a confirmation, a training and an export, one after the other, within one wall-clock time. What is
chosen is in `choose`, when each part ends in `timetable`, and the order of things in `finding`.
"""
