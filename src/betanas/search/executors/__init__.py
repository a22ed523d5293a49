"""Executors: who trains the trials. All keep the contract of `betanas.search.executors.base.Executor`."""
