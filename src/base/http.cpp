// SPDX-License-Identifier: Apache-2.0
// HTTP/1.0, so that the answer ends where the connection does and no part of it is chunked.
#include "base/http.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "base/text.h"

namespace ebb {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kHeadMax = 64 << 10;
constexpr const char* kHint = "Is ComfyUI running there? Open the address in a browser.";

Error failed(const HttpAddress& to, const std::string& what, const char* hint = kHint) {
  return input_error(what, "http://" + to.host + ":" + to.port + to.path, "", hint);
}

class Socket {
 public:
  ~Socket() { reset(-1); }
  Socket() = default;
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  void reset(int fd) {
    if (fd_ >= 0) close(fd_);
    fd_ = fd;
  }
  int get() const { return fd_; }

 private:
  int fd_ = -1;
};

/// Waits until the socket is ready; false when the time is over.
bool wait_for(int fd, short events, Clock::time_point deadline) {
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    pollfd entry{fd, events, 0};
    const int ready = poll(&entry, 1, static_cast<int>(left));
    if (ready > 0) return true;
    if (ready == 0 || errno != EINTR) return false;
  }
}

/// Tries one address; 0 or the error number.
int try_connect(Socket& socket_, const addrinfo& to, Clock::time_point deadline) {
  socket_.reset(
      socket(to.ai_family, to.ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, to.ai_protocol));
  if (socket_.get() < 0) return errno;
  if (connect(socket_.get(), to.ai_addr, to.ai_addrlen) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  if (!wait_for(socket_.get(), POLLOUT, deadline)) return ETIMEDOUT;
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

Result<Done> connect_to(Socket& socket_, const HttpAddress& to, int connect_ms) {
  addrinfo wanted{}, *list = nullptr;
  wanted.ai_family = AF_UNSPEC;
  wanted.ai_socktype = SOCK_STREAM;
  if (const int code = getaddrinfo(to.host.c_str(), to.port.c_str(), &wanted, &list); code != 0) {
    return failed(to, fmt::format("the host is not known ({})", gai_strerror(code)),
                  "Check the name of the host.");
  }
  const auto deadline = Clock::now() + std::chrono::milliseconds(connect_ms);
  int error = ECONNREFUSED;
  for (const addrinfo* at = list; at; at = at->ai_next) {
    error = try_connect(socket_, *at, deadline);
    if (error == 0) break;
  }
  freeaddrinfo(list);
  if (error == 0) return Done{};
  return failed(to, fmt::format("no server answers: {}", std::strerror(error)));
}

/// Everything that the server sends until it hangs up.
Result<std::string> exchange(int fd, const HttpAddress& to, const HttpLimits& limits) {
  const auto deadline = Clock::now() + std::chrono::milliseconds(limits.total_ms);
  const std::string request = fmt::format(
      "GET {} HTTP/1.0\r\nHost: {}:{}\r\nAccept: application/json\r\nConnection: close\r\n\r\n",
      to.path, to.host, to.port);
  for (std::size_t sent = 0; sent < request.size();) {
    if (!wait_for(fd, POLLOUT, deadline)) return failed(to, "the server is too slow");
    const ssize_t n = send(fd, request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
    if (n < 0 && errno != EINTR && errno != EAGAIN) {
      return failed(to, fmt::format("the server hung up: {}", std::strerror(errno)));
    }
    if (n > 0) sent += static_cast<std::size_t>(n);
  }
  std::string answer;
  std::string part(64 << 10, '\0');
  for (;;) {
    if (!wait_for(fd, POLLIN, deadline)) return failed(to, "the server is too slow");
    const ssize_t n = recv(fd, part.data(), part.size(), 0);
    if (n == 0) return answer;
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n < 0) return failed(to, fmt::format("the server hung up: {}", std::strerror(errno)));
    answer.append(part, 0, static_cast<std::size_t>(n));
    if (static_cast<std::int64_t>(answer.size()) > limits.bytes + std::int64_t{kHeadMax}) {
      return failed(to, fmt::format("the answer has more than {} MiB", limits.bytes >> 20));
    }
  }
}

/// A header's value, or nothing; names are compared ignoring case.
std::string_view header(std::string_view head, std::string_view name) {
  for (const auto line : split(head, '\n')) {
    const auto colon = line.find(':');
    if (colon != line.npos && equal_ignoring_case(trim(line.substr(0, colon)), name)) {
      return trim(line.substr(colon + 1));
    }
  }
  return {};
}

}  // namespace

Result<HttpAddress> parse_http_address(const std::string& url) {
  constexpr std::string_view kScheme = "http://";
  constexpr const char* kWrite = "Write it like http://127.0.0.1:8188";
  if (url.starts_with("https://")) {
    return usage_error(fmt::format("\"{}\": only plain HTTP is spoken", url),
                       "Save the answer: curl -o object_info.json " + url);
  }
  if (!url.starts_with(kScheme)) {
    return usage_error(fmt::format("\"{}\" is no address", url), kWrite);
  }
  const std::string_view rest = std::string_view(url).substr(kScheme.size());
  const std::string_view authority = rest.substr(0, rest.find('/'));
  HttpAddress address;
  address.path = rest.substr(authority.size());
  if (address.path.empty()) address.path = "/";
  const auto bracket = authority.find(']');
  const auto colon = authority.find(':', bracket == authority.npos ? 0 : bracket);
  address.host = authority.substr(0, colon);
  if (address.host.starts_with('[') && address.host.ends_with(']')) {
    address.host = address.host.substr(1, address.host.size() - 2);
  }
  address.port = colon == authority.npos ? "80" : authority.substr(colon + 1);
  const auto port = parse_int(address.port);
  const bool clean = std::ranges::all_of(url, [](unsigned char c) { return c > ' ' && c != 127; });
  if (address.host.empty() || !port || *port < 1 || *port > 65535 || !clean ||
      authority.find('@') != authority.npos) {
    return usage_error(fmt::format("\"{}\" is no address", url), kWrite);
  }
  return address;
}

Result<std::string> http_get(const HttpAddress& address, const HttpLimits& limits) {
  Socket socket_;
  if (auto done = connect_to(socket_, address, limits.connect_ms); !done) return done.error();
  auto answer = exchange(socket_.get(), address, limits);
  if (!answer) return answer;
  const auto end = answer->find("\r\n\r\n");
  if (!answer->starts_with("HTTP/1.") || end == std::string::npos || end > kHeadMax) {
    return failed(address, "what answers there speaks no HTTP");
  }
  const std::string head = answer->substr(0, end);
  const std::string status(trim(std::string_view(head).substr(0, head.find('\r')).substr(8)));
  if (!status.starts_with("200")) {
    return failed(address, fmt::format("the server answers {}", status),
                  "Is it ComfyUI's address? Open it in a browser; redirects are not followed.");
  }
  const auto length = parse_int(header(head, "content-length"));
  answer->erase(0, end + 4);
  if (length && *length != static_cast<std::int64_t>(answer->size())) {
    return failed(address, fmt::format("the answer was cut off after {} of {} bytes",
                                       answer->size(), *length));
  }
  return answer;
}

}  // namespace ebb
