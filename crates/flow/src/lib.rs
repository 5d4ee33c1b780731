//! The native workflow language: parse, check, plan, and run on the core.
