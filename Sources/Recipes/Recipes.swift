// RoostRecipes
