// RoostClientCore
