// kvsim: the simulator and the exhaustive search, from the command line.
//
// Owns its subcommands' arguments, the clock that ends a run, what is printed and the exit code: 0 if nothing was
// found, 1 if something was, 2 for wrong usage. It leaves what is simulated and judged to `RoostSimulation`.

internal import Glibc

exit(Subcommands.run(Array(CommandLine.arguments.dropFirst())))
