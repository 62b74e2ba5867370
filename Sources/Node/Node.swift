// RoostNode: one member of a cluster, running inside this process.
//
// Owns what performs: the loop's turns, the connections, the links to other members, the data directory, and the
// public API to embed a node. It reads, hands the bytes to the `Replica`, and does what the replica's effects
// ask for, in the order that they demand.
//
// Leaves every decision to `Replica` and `Journal`: nothing here knows a term or a key.
