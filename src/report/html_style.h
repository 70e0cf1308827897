// SPDX-License-Identifier: Apache-2.0
// Style sheet and script of the page.
#pragma once

namespace ebb {

const char* page_css();

/// Left and right move between passes; the panel shows the card of the pass under the pointer.
const char* page_script();

}  // namespace ebb
