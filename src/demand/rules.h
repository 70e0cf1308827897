// SPDX-License-Identifier: Apache-2.0
// The rules that the table in rules.cpp names, one per way of making a size from others.
#pragma once

#include "demand/values.h"

namespace ebb {

// Latents.
SizeValue latent_from_size(RuleScope& s, const RuleRow& row);  ///< width, height, length, batch
SizeValue latent_pictures_as_batch(RuleScope& s,
                                   const RuleRow& row);  ///< frames stand in the batch
SizeValue latent_layers(RuleScope& s, const RuleRow& row);
SizeValue latent_cascade(RuleScope& s, const RuleRow& row);
SizeValue latent_cascade_of_picture(RuleScope& s, const RuleRow& row);
SizeValue latent_row(RuleScope& s, const RuleRow& row);  ///< one long row of tokens
SizeValue latent_audio(RuleScope& s, const RuleRow& row);
SizeValue latent_ltx_audio(RuleScope& s, const RuleRow& row);
SizeValue latent_of_picture(RuleScope& s, const RuleRow& row);  ///< through the VAE
SizeValue latent_sampled(RuleScope& s, const RuleRow& row);
SizeValue latent_resized(RuleScope& s, const RuleRow& row);
SizeValue latent_scaled(RuleScope& s, const RuleRow& row);
SizeValue latent_upsampled(RuleScope& s, const RuleRow& row);
SizeValue latent_batched(RuleScope& s, const RuleRow& row);
SizeValue latent_joined(RuleScope& s, const RuleRow& row);
SizeValue latent_repeated(RuleScope& s, const RuleRow& row);
SizeValue latent_continued(RuleScope& s, const RuleRow& row);
SizeValue latent_cut(RuleScope& s, const RuleRow& row);
SizeValue latent_with_guide(RuleScope& s, const RuleRow& row);
SizeValue latent_without_guides(RuleScope& s, const RuleRow& row);
SizeValue latent_with_sound(RuleScope& s, const RuleRow& row);
SizeValue latent_separated(RuleScope& s, const RuleRow& row);

// Pictures and videos.
SizeValue picture_decoded(RuleScope& s, const RuleRow& row);
SizeValue picture_loaded(RuleScope& s, const RuleRow& row);  ///< its size is in a file
SizeValue video_loaded_by_vhs(RuleScope& s, const RuleRow& row);
SizeValue video_taken_apart(RuleScope& s, const RuleRow& row);  ///< pictures, and their rate
SizeValue video_made(RuleScope& s, const RuleRow& row);
SizeValue video_cut(RuleScope& s, const RuleRow& row);
SizeValue picture_from_size(RuleScope& s, const RuleRow& row);
SizeValue picture_resized(RuleScope& s,
                          const RuleRow& row);  ///< width and height, 0 keeps the ratio
SizeValue picture_resized_by_type(RuleScope& s, const RuleRow& row);
SizeValue picture_scaled(RuleScope& s, const RuleRow& row);
SizeValue picture_to_megapixels(RuleScope& s, const RuleRow& row);
SizeValue picture_to_side(RuleScope& s, const RuleRow& row);
SizeValue picture_for_kontext(RuleScope& s, const RuleRow& row);
SizeValue picture_upscaled(RuleScope& s, const RuleRow& row);  ///< with a model
SizeValue picture_padded(RuleScope& s, const RuleRow& row);
SizeValue pictures_joined(RuleScope& s, const RuleRow& row);  ///< all picture inputs into one batch
SizeValue pictures_repeated(RuleScope& s, const RuleRow& row);
SizeValue pictures_cut(RuleScope& s, const RuleRow& row);
SizeValue picture_stitched(RuleScope& s, const RuleRow& row);

// Numbers and schedules.
SizeValue number_typed(RuleScope& s, const RuleRow& row);
SizeValue truth_typed(RuleScope& s, const RuleRow& row);       ///< 1 or 0
SizeValue value_switched(RuleScope& s, const RuleRow& row);    ///< the side that is chosen
SizeValue number_converted(RuleScope& s, const RuleRow& row);  ///< to a fraction, or a whole one
SizeValue number_of_proportion(RuleScope& s, const RuleRow& row);  ///< and of megapixels
SizeValue number_of_picture(RuleScope& s, const RuleRow& row);
SizeValue number_of_choice(RuleScope& s, const RuleRow& row);
SizeValue number_of_camera(RuleScope& s, const RuleRow& row);
SizeValue number_computed(RuleScope& s, const RuleRow& row);  ///< an expression in a text input
SizeValue number_of_operation(RuleScope& s, const RuleRow& row);
SizeValue steps_typed(RuleScope& s, const RuleRow& row);
SizeValue steps_split(RuleScope& s, const RuleRow& row);
SizeValue steps_listed(RuleScope& s, const RuleRow& row);

/// Whether the rule is one of a class that loads a picture or a video from a file.
bool loads_media(const RuleRow& row);

}  // namespace ebb
