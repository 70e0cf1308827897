// SPDX-License-Identifier: Apache-2.0
#include "ebb/version.h"
#include <cstdio>
int main() { std::puts("ebb " EBB_VERSION); }
