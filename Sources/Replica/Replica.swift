// RoostReplica
