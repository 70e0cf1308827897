// SPDX-License-Identifier: Apache-2.0
// Everything, in reading order.
#pragma once

#include "ebb/version.h"
#include "ebb/result.h"
#include "ebb/bytes.h"
#include "ebb/machine.h"
#include "ebb/workflow.h"
#include "ebb/weights.h"
#include "ebb/demand.h"
#include "ebb/pass.h"
#include "ebb/policy.h"
#include "ebb/plan.h"
#include "ebb/report.h"
