#include "CHostFloat.h"
