// SPDX-License-Identifier: Apache-2.0
// Writing: a temporary file beside the target, whole and on the disk, then one step that puts it
// in the target's place. Where a file is replaced, the step exchanges the two names, so that what
// was there can be looked at once more: an edit that was saved meanwhile is put back.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <functional>
#include <optional>
#include <random>
#include <utility>

#include "base/descriptor.h"
#include "ebb/file.h"

namespace ebb {
namespace {

constexpr mode_t kPermissions = 07777;

bool write_all(int file, const std::string& text) {
  std::size_t written = 0;
  while (written < text.size()) {
    const ssize_t n = write(file, text.data() + written, text.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    written += static_cast<std::size_t>(n);
  }
  return true;
}

Error is_link(const std::string& path) {
  return input_error("is a symbolic link and is not written through", path, "",
                     "Name the file that it points at.");
}

Error is_there(const std::string& path) {
  return input_error("is there already", path, "", "--force writes over it.");
}

Error was_changed(const std::string& path) {
  return input_error("was changed by something else while Ebb worked; nothing is written", path, "",
                     "Run it again: it starts from what is there now.");
}

/// A file beside `path` with its future content; gone with this object unless it got its name.
class Temporary {
 public:
  /// `old`: what it will replace, whose owner and permissions it takes; null for a new file.
  static Result<Done> make(const std::string& path, const std::string& text, unsigned int new_mode,
                           const struct stat* old, Temporary& made) {
    const Descriptor file(made.open_beside(path, old ? 0600 : new_mode));
    if (file.get() < 0) return system_error(path, "cannot be written");
    if (old) {  // the owner first: changing it takes some permissions away
      [[maybe_unused]] const int kept = fchown(file.get(), old->st_uid, old->st_gid);
    }
    const bool whole = write_all(file.get(), text) &&
                       (!old || fchmod(file.get(), old->st_mode & kPermissions) == 0) &&
                       fsync(file.get()) == 0;
    return whole ? Result<Done>(Done{}) : system_error(path, "cannot be written");
  }

  Temporary() = default;
  ~Temporary() {
    if (!name_.empty()) unlink(name_.c_str());
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;

  const std::string& name() const { return name_; }
  /// It holds what somebody may want: it stays. Gives its name.
  std::string leave() { return std::exchange(name_, {}); }
  bool rename_to(const std::string& path) {
    if (rename(name_.c_str(), path.c_str()) != 0) return false;
    name_.clear();
    return true;
  }

 private:
  int open_beside(const std::string& path, unsigned int mode) {
    constexpr int kTries = 100;
    constexpr char kLetters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    std::random_device random;
    for (int i = 0; i < kTries; ++i) {
      std::string name = path + ".ebb-";
      for (int n = 0; n < 6; ++n) name += kLetters[random() % (sizeof kLetters - 1)];
      const int fd = open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
      if (fd >= 0) name_ = name;
      if (fd >= 0 || errno != EEXIST) return fd;
    }
    return -1;
  }

  std::string name_;
};

/// A new name must outlive a power failure, too; where folders can't be synced it may not.
void sync_folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  const std::string folder = slash == path.npos ? "." : path.substr(0, slash + 1);
  const Descriptor directory(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() >= 0) fsync(directory.get());
}

/// Gives a file its name only if nothing has it; of many that try at once, one does.
Result<Done> put_new(Temporary& file, const std::string& path) {
  if (link(file.name().c_str(), path.c_str()) == 0) return Done{};
  if (errno == EEXIST) return is_there(path);
  // No hard links here.
  if (renameat2(AT_FDCWD, file.name().c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) == 0) {
    return Done{};
  }
  if (errno == EEXIST) return is_there(path);
  struct stat info {};
  if (lstat(path.c_str(), &info) == 0) return is_there(path);
  return file.rename_to(path) ? Result<Done>(Done{}) : system_error(path, "cannot be written");
}

Result<Done> write_to(const std::string& path, const std::string& text, unsigned int new_mode,
                      bool overwrite) {
  struct stat old {};
  const bool exists = stat(path.c_str(), &old) == 0;
  if (exists && !S_ISREG(old.st_mode) && !S_ISDIR(old.st_mode)) {
    // A device or a pipe takes the text; a file in its place would be the end of it.
    const Descriptor device(open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (device.get() >= 0 && write_all(device.get(), text)) return Done{};
    return system_error(path, "cannot be written");
  }
  struct stat own {};
  if (lstat(path.c_str(), &own) == 0 && S_ISLNK(own.st_mode)) return is_link(path);
  if (exists && !overwrite) return is_there(path);
  Temporary file;
  if (auto made = Temporary::make(path, text, new_mode, exists ? &old : nullptr, file); !made) {
    return made;
  }
  if (!overwrite) {
    if (auto put = put_new(file, path); !put) return put;
  } else if (!file.rename_to(path)) {
    return system_error(path, "cannot be written");
  }
  sync_folder_of(path);
  return Done{};
}

/// Keeps the file at `path` under a second name. `made`: it was not there before.
Result<Done> keep(const std::string& path, const std::string& backup, const FileState& was,
                  bool force, bool& made) {
  if (link(path.c_str(), backup.c_str()) == 0) return made = true, Done{};
  if (errno == EEXIST) {
    struct stat info {};
    if (lstat(backup.c_str(), &info) == 0 && S_ISLNK(info.st_mode)) return is_link(backup);
    const auto there = file_state(backup);
    if (there && there->same_bytes(was)) return Done{};  // of a run that did not get further
    if (!force) return is_there(backup);
  }
  // No hard links here, or an older backup to replace: a copy with the same permissions.
  struct stat info {};
  const auto bytes = read_file(path);
  if (!bytes) return bytes.error();
  if (stat(path.c_str(), &info) != 0) return system_error(path, "cannot be read");
  Temporary copy;
  if (auto done = Temporary::make(backup, *bytes, 0600, &info, copy); !done) return done;
  made = !force;
  if (!force) return put_new(copy, backup);
  return copy.rename_to(backup) ? Result<Done>(Done{}) : system_error(backup, "cannot be written");
}

}  // namespace

bool FileState::same_bytes(const FileState& other) const {
  return size == other.size && hash == other.hash;
}

Result<FileState> file_state(const std::string& path) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat info {};
  if (file.get() < 0 || fstat(file.get(), &info) != 0) return system_error(path, "cannot be read");
  const auto bytes = read_file(path);
  if (!bytes) return bytes.error();
  FileState state;
  state.device = info.st_dev;
  state.inode = info.st_ino;
  state.changed_ns = std::int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec;
  state.size = bytes->size();
  state.hash = std::hash<std::string>()(*bytes);
  return state;
}

Result<Done> write_file(const std::string& path, const std::string& text, unsigned int new_mode) {
  return write_to(path, text, new_mode, true);
}

Result<Done> put_file(const std::string& path, const std::string& text, bool overwrite) {
  return write_to(path, text, 0666, overwrite);
}

Result<Done> replace_file(const std::string& path, const std::string& text, const FileState& was,
                          const std::string& backup, bool force) {
  const auto unchanged = [&](const std::string& name) {
    const auto now = file_state(name);
    return now && *now == was;
  };
  struct stat old {};
  if (lstat(path.c_str(), &old) != 0) return was_changed(path);
  if (S_ISLNK(old.st_mode)) return is_link(path);
  if (!S_ISREG(old.st_mode)) return input_error("is not a regular file", path);
  Temporary file;
  if (auto made = Temporary::make(path, text, 0600, &old, file); !made) return made;
  if (!unchanged(path)) return was_changed(path);
  bool made = false;
  if (!backup.empty()) {
    if (auto kept = keep(path, backup, was, force, made); !kept) return kept;
  }
  const auto exchange = [&] {
    return renameat2(AT_FDCWD, file.name().c_str(), AT_FDCWD, path.c_str(), RENAME_EXCHANGE) == 0;
  };
  std::optional<Error> error;
  if (exchange()) {
    // The temporary name is now that of whatever was there at that moment.
    if (!unchanged(file.name())) {
      error = exchange() ? was_changed(path) : system_error(path, "cannot be put back");
      FileState ours;
      ours.size = text.size();
      ours.hash = std::hash<std::string>()(text);
      const auto left = file_state(file.name());
      if (!left || !left->same_bytes(ours)) {
        error->hint = "What somebody saved at that moment is in " + file.leave() + ".";
      }
    }
  } else if (errno != EINVAL && errno != ENOSYS && errno != ENOTSUP) {
    error = system_error(path, "cannot be written");
  } else if (!unchanged(path)) {  // names can't be exchanged here
    error = was_changed(path);
  } else if (!file.rename_to(path)) {
    error = system_error(path, "cannot be written");
  }
  if (error && made) unlink(backup.c_str());
  if (error) return *error;
  sync_folder_of(path);
  return Done{};
}

}  // namespace ebb
