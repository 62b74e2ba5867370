// RoostSimulation: small worlds in which the shipped code can be watched.
//
// Owns the exhaustive search of small clusters (`Explorer`, `ExplorationModel`: Docs/SEARCH.md), and the
// simulated disk with its files. Everything here is a value: the same inputs, the same run.
//
// Leaves the protocol to `Raft`, the journal's rules to `Journal`, and to `kvsim` how long to look, the
// clock, and what is printed.
