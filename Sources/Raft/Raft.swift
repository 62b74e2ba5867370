// RoostRaft: how the members of a cluster agree on one log.
//
// Owns the protocol: elections, replication, commitment, reads, membership, snapshots between members,
// and cluster time. `Consensus` is a plain value: a message, a moment or a request in, `Effects` out.
//
// Leaves to others what an entry's payload means (`StateMachine`), how bytes reach a disk (`Journal`) or
// another node (`Node`), and who waits for what (`Replica`).
