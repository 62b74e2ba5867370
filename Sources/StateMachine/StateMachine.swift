// RoostStateMachine
