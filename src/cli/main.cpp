// SPDX-License-Identifier: Apache-2.0
#include <cstdio>

#include "ebb/version.h"
int main() { std::puts("ebb " EBB_VERSION); }
