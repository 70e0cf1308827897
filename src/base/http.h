// SPDX-License-Identifier: Apache-2.0
// One GET over plain HTTP, bounded in time and size. docs/design.md says why no library does it.
#pragma once

#include <cstdint>
#include <string>

#include "ebb/result.h"

namespace ebb {

/// `http://host:port/path` in its parts.
struct HttpAddress {
  std::string host, port, path;
};

/// Errors (usage): https, another scheme, no host, a port that is none.
Result<HttpAddress> parse_http_address(const std::string& url);

struct HttpLimits {
  std::int64_t bytes = std::int64_t{256} << 20;
  int connect_ms = 3'000;
  int total_ms = 60'000;
};

/// The body of the answer to GET. Errors (input): nobody listens, too slow, too large, cut off,
/// any status but 200. Nothing is followed: no redirect, no proxy.
Result<std::string> http_get(const HttpAddress& address, const HttpLimits& limits = {});

}  // namespace ebb
