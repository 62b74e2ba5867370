// RoostSimulation
