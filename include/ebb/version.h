// SPDX-License-Identifier: Apache-2.0
// The version of Ebb, in one place: CMake reads it from here.
#pragma once

#define EBB_VERSION_MAJOR 0
#define EBB_VERSION_MINOR 1
#define EBB_VERSION_PATCH 0
#define EBB_VERSION "0.1.0"
