// RoostSimulation: small worlds in which the shipped code can be watched.
//
// Owns the storm (`SimulatedCluster`, `StormPlan`: Docs/SIMULATION.md): whole clusters with their clients on virtual
// clocks, network and disks, and the judges of what was seen. It stands where `Node` and `Client` stand and nowhere else.
// Owns also the exhaustive search of small clusters (`Explorer`, `ExplorationModel`: Docs/SEARCH.md), and the simulated
// disk with its files. The same inputs, the same run.
//
// Leaves the protocol to `Raft`, the journal's rules to `Journal`, sockets, files and threads to `Platform`, and to
// `kvsim` how long to look, the clock, and what is printed.
