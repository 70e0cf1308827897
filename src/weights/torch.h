// SPDX-License-Identifier: Apache-2.0
// Files that torch.save writes (.ckpt, .pt, .pth, .bin). Two layouts:
//   zip     a directory NAME/ with data.pkl (the pickle), data/KEY (one storage each), version
//   legacy  pickles one after the other: a magic number, the protocol, the system, the object with
//           its tensors, the keys of its storages; then the storages
// The pickle's opcodes are read as data (weights/pickle.h); nothing in it is ever run.
// Bounded here: 32 MiB of pickle, 1,000,000 tensors.
#pragma once

#include <string>
#include <string_view>

#include "ebb/result.h"
#include "weights/header.h"

namespace ebb {

/// Whether the first bytes are those of a zip archive or of a legacy torch file.
bool is_torch_start(std::string_view first_bytes);

/// The tensors of the state dictionary, as ComfyUI picks it out: `state_dict` where there is one,
/// else the only dictionary inside, else all of it. Without any tensor the header is empty, and
/// `note` says why: a whole Python object, a TorchScript archive, a legacy file of another kind.
/// Errors: a broken archive or pickle, a tensor that does not fit its storage, a missing storage.
Result<Header> read_torch(FileStart start);

}  // namespace ebb
