//! Mock services with faults, and what tests of workflows need.
