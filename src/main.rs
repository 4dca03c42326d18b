//! Parses arguments, calls [`gatepost::cli`], turns errors into exit codes; nothing else.

use std::process::ExitCode;

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    gatepost::cli::main()
}
