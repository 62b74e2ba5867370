// The header holds all of it; a C target wants one file to compile.
#include "RoostCChecksum.h"
