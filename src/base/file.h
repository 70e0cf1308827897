// SPDX-License-Identifier: Apache-2.0
// Forwards to the public header.
#pragma once

#include "ebb/file.h"
