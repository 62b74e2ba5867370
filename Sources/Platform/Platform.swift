// RoostPlatform
