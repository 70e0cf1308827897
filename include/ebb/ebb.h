// SPDX-License-Identifier: Apache-2.0
// Everything, in reading order.
#pragma once

#include "ebb/bytes.h"
#include "ebb/compare.h"
#include "ebb/demand.h"
#include "ebb/explain.h"
#include "ebb/file.h"
#include "ebb/launch.h"
#include "ebb/machine.h"
#include "ebb/pass.h"
#include "ebb/patch.h"
#include "ebb/plan.h"
#include "ebb/policy.h"
#include "ebb/report.h"
#include "ebb/result.h"
#include "ebb/run.h"
#include "ebb/version.h"
#include "ebb/weights.h"
#include "ebb/workflow.h"
