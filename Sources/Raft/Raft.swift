// RoostRaft
