//! WHAT IS TRUE NOW: pure folds over the log; nothing fails, nothing waits.
