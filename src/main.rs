//! Parses arguments, calls [`gatepost::cli`], turns errors into exit codes; nothing else.

fn main() {}
