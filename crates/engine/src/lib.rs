//! The runtime around the core: committer, drivers, timers, step execution, recovery.
