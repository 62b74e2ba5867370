// RoostClient
