// RoostNode
