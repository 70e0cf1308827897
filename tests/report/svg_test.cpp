// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "base/text.h"
#include "report/picture.h"
#include "tests/pass/two_pass.h"
#include "tests/report/sample.h"
#include "tests/report/xml.h"

namespace ebb {
namespace {

using test::read_xml;
using test::Xml;
using test::XmlElement;

Report hostile() {
  Report r = test::wan_two_passes();
  r.file = "\"><script>alert('x')</script>&amp;\x1b[31m\xff.json";
  r.after_title = "<b>bold</b> & \"quoted\"";
  test::own_passes(r.prediction).weights[2].name = "</text><script>alert(1)</script>";
  test::own_passes(r.prediction).weights[2].source = "'><img src=x onerror=alert(1)>";
  test::own_passes(r.prediction).cuts[2].crossing[0].type = "]]><LATENT>";
  return r;
}

bool is_number(const std::string& text) {
  const auto value = parse_double(text);
  return value && std::isfinite(*value);
}

/// Every coordinate of every element is a finite number.
void expect_numbers(const Xml& xml) {
  static const std::set<std::string> kCoordinates = {"x",  "y",  "x1", "y1", "x2",
                                                     "y2", "cx", "cy", "r",  "height"};
  for (const XmlElement& e : xml.elements) {
    for (const auto& [key, value] : e.attributes) {
      if (kCoordinates.count(key) > 0) {
        EXPECT_TRUE(is_number(value)) << e.name << " " << key;
      }
    }
    EXPECT_GE(e.number("height"), 0);
    EXPECT_GE(e.number("width"), 0);
  }
}

TEST(ReportSvg, named_reports_are_well_formed_and_under_100_kb) {
  for (const auto& [name, report] : test::named_reports()) {
    SCOPED_TRACE(name);
    const std::string svg = to_svg(report);
    const Xml xml = read_xml(svg);
    EXPECT_EQ(xml.error, "");
    EXPECT_LT(svg.size(), 100'000U);
    expect_numbers(xml);
  }
}

TEST(ReportSvg, no_report_however_odd_breaks_the_picture) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Xml xml = read_xml(to_svg(test::random_report(seed)));
    ASSERT_EQ(xml.error, "");
    expect_numbers(xml);
  }
}

TEST(ReportSvg, hostile_names_become_text) {
  const std::string svg = to_svg(hostile());
  const Xml xml = read_xml(svg);
  ASSERT_EQ(xml.error, "");
  for (const XmlElement& e : xml.elements) {
    EXPECT_NE(e.name, "script");
    EXPECT_NE(e.name, "img");
    EXPECT_NE(e.name, "b");
  }
  EXPECT_NE(svg.find("&lt;/text&gt;"), std::string::npos) << "the name is not there at all";
}

TEST(ReportSvg, a_long_name_stays_whole_where_a_line_holds_it) {
  Report report = test::wan_two_passes();
  report.file = "workflows/" + std::string(100, 'x') + ".json";
  EXPECT_NE(to_svg(report).find(report.file + ": "), std::string::npos);
}

TEST(ReportSvg, what_does_not_fit_stands_exactly_above_the_limit) {
  const Report report = test::wan_two_passes();
  const Xml xml = read_xml(to_svg(report));
  const auto over = xml.with_class("over");
  const auto limits = xml.with_class("limit");
  ASSERT_EQ(over.size(), 2U) << "one for each sampling pass before the fix, none after it";
  ASSERT_EQ(limits.size(), 4U) << "VRAM and RAM, before and after";
  for (const XmlElement* rect : over) {
    EXPECT_NEAR(rect->number("y") + rect->number("height"), limits[0]->number("y1"), 0.3);
  }
  // Heights are bytes on one scale: 2,300 MiB over, 7,420 MiB live.
  const auto live = xml.with_class("live");
  EXPECT_NEAR(over[0]->number("height") / live[2]->number("height"), 2300.0 / 7420, 0.01);
}

TEST(ReportSvg, a_spill_is_drawn_from_the_limit_to_the_peak) {
  const Xml xml = read_xml(to_svg(test::picture_that_spills()));
  const auto over = xml.with_class("over");
  const auto limits = xml.with_class("limit");
  const auto live = xml.with_class("live");
  ASSERT_EQ(over.size(), 1U);
  EXPECT_NEAR(over[0]->number("y") + over[0]->number("height"), limits[0]->number("y1"), 0.3);
  EXPECT_GE(live[2]->number("y") + 0.3, limits[0]->number("y1")) << "live below, spill above";
  EXPECT_NEAR(over[0]->number("height") / live[1]->number("height"), 2317.0 / 760, 0.05);
}

TEST(ReportSvg, before_and_after_are_drawn_on_one_scale) {
  const Xml xml = read_xml(to_svg(test::wan_two_passes()));
  const auto live = xml.with_class("live");
  ASSERT_EQ(live.size(), 10U);
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_NEAR(live[i]->number("height"), live[i + 5]->number("height"), 0.11);
    // The offloaded part is moved too after the fix: a tenth of a second on 66.
    EXPECT_NEAR(live[i]->number("x"), live[i + 5]->number("x"), 1);
    EXPECT_NEAR(live[i]->number("width"), live[i + 5]->number("width"), 1);
  }
}

TEST(ReportSvg, where_no_pass_is_known_a_sentence_stands_for_the_lanes) {
  Report report = test::picture_that_fits();
  report.prediction.passes = std::make_shared<const Passes>();
  report.prediction.timeline.steps.clear();
  report.prediction.outcome.passes.clear();
  report.prediction.outcome.verdict = Verdict::unknown;
  const std::string svg = to_svg(report);
  const Xml xml = read_xml(svg);
  EXPECT_EQ(xml.error, "");
  EXPECT_TRUE(xml.with_class("limit").empty());
  EXPECT_NE(svg.find("No pass is known to Ebb"), std::string::npos) << svg;
}

TEST(ReportSvg, ram_that_is_a_lower_bound_is_drawn_with_a_word_of_it) {
  Report report = test::picture_that_fits();
  EXPECT_EQ(to_svg(report).find("RAM: the least it can be."), std::string::npos);
  report.prediction.timeline.ram_open = true;
  EXPECT_NE(to_svg(report).find("RAM: the least it can be."), std::string::npos);
}

TEST(ReportSvg, a_pass_is_as_wide_as_its_seconds_are_long) {
  const Xml xml = read_xml(to_svg(test::picture_that_fits()));
  const auto hits = xml.with_class("hit");
  ASSERT_EQ(hits.size(), 3U);
  const auto seconds = [](double read, double loaded, double work) {
    return read / 2900 + loaded / 24000 + work;
  };
  const double first = seconds(6617, 1560, 0.1), second = seconds(0, 4897, 0.31 * 20);
  EXPECT_NEAR(hits[1]->number("width") / hits[0]->number("width"), second / first, 0.05);
  Report unknown = test::unknown_weights();
  const Xml equal = read_xml(to_svg(unknown));
  EXPECT_EQ(equal.with_class("hit")[0]->number("width"),
            equal.with_class("hit")[1]->number("width"));
  EXPECT_NE(to_svg(unknown).find("how long they take is not known"), std::string::npos);
}

TEST(ReportSvg, every_pass_can_be_focused_and_says_everything_in_words) {
  const Xml xml = read_xml(to_svg(test::wan_two_passes()));
  const auto passes = xml.with_class("pass");
  ASSERT_EQ(passes.size(), 10U);
  for (const XmlElement* pass : passes) {
    EXPECT_EQ(pass->attributes.at("tabindex"), "0");
    EXPECT_EQ(pass->attributes.at("role"), "img");
    EXPECT_NE(pass->attributes.at("aria-label").find("VRAM peak"), std::string::npos);
  }
  EXPECT_NE(passes[2]->attributes.at("aria-label").find("offloads 2,300 MiB"), std::string::npos);
  const std::string svg = to_svg(test::wan_two_passes());
  EXPECT_NE(svg.find("2,300 MiB (2,411,724,800 bytes)"), std::string::npos) << "exact bytes";
}

TEST(ReportSvg, no_text_leaves_the_picture) {
  for (const auto& [name, report] : test::named_reports()) {
    for (const double width : {960.0, 380.0}) {
      SCOPED_TRACE(name + " " + std::to_string(width));
      PictureOptions options;
      options.width = width;
      options.standalone = width > 600;
      const Xml xml = read_xml(draw(report, options));
      ASSERT_EQ(xml.error, "");
      const auto box = split(xml.elements[0].attributes.at("viewBox"), ' ');
      const double right = *parse_double(box[2]), bottom = *parse_double(box[3]);
      for (const XmlElement& e : xml.elements) {
        if (e.name != "text" || e.attributes.count("transform") > 0) continue;
        const double wide = text_width(e.text, e.has_class("title") ? 18 : 10.5);
        const auto anchor = e.attributes.find("text-anchor");
        const double part = anchor == e.attributes.end() ? 0 : anchor->second == "end" ? 1 : 0.5;
        const double left = e.number("x") - part * wide;
        EXPECT_GE(left, -1) << e.text;
        EXPECT_LE(left + wide, right + 1) << e.text;
        EXPECT_LE(e.number("y"), bottom) << e.text;
      }
    }
  }
}

TEST(ReportSvg, forty_equal_passes_fold_into_one_column) {
  const Xml xml = read_xml(to_svg(test::forty_passes()));
  EXPECT_EQ(xml.with_class("pass").size(), 4U);
  EXPECT_NE(to_svg(test::forty_passes()).find("passes 5-40: passes 3-4 again, 18 times"),
            std::string::npos);
}

TEST(ReportHtml, pages_are_well_formed_and_need_nothing_else) {
  auto reports = test::named_reports();
  reports.emplace_back("hostile", hostile());
  for (const auto& [name, report] : reports) {
    SCOPED_TRACE(name);
    const std::string html = to_html(report);
    const Xml xml = read_xml(html);
    ASSERT_EQ(xml.error, "");
    expect_numbers(xml);
    int scripts = 0;
    for (const XmlElement& e : xml.elements) {
      scripts += e.name == "script";
      EXPECT_NE(e.name, "img");
      EXPECT_NE(e.name, "link");
      EXPECT_EQ(e.attributes.count("src"), 0U);
      EXPECT_EQ(e.attributes.count("href"), 0U);
      for (const auto& [key, value] : e.attributes) EXPECT_FALSE(key.starts_with("on")) << key;
    }
    EXPECT_EQ(scripts, 1);
    EXPECT_EQ(html.find("@import"), std::string::npos);
    EXPECT_EQ(html.find("url(http"), std::string::npos);
  }
}

TEST(ReportHtml, no_report_however_odd_breaks_the_page) {
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    ASSERT_EQ(read_xml(to_html(test::random_report(seed))).error, "");
  }
}

TEST(ReportHtml, a_model_has_one_colour_in_picture_and_tables) {
  const Report report = test::wan_two_passes();
  const std::string html = to_html(report);
  const auto colours = paints(report.prediction.passes->weights);
  std::set<std::string> distinct;
  for (const Paint& paint : colours) {
    EXPECT_TRUE(distinct.insert(paint.fill).second);
    EXPECT_NE(html.find("fill=\"" + paint.fill + "\""), std::string::npos);
    EXPECT_NE(html.find("style=\"background:" + paint.fill + "\""), std::string::npos);
  }
}

TEST(ReportHtml, the_checker_itself_refuses_what_is_broken) {
  EXPECT_NE(read_xml("<a><b></a>").error, "");
  EXPECT_NE(read_xml("<a>x & y</a>").error, "");
  EXPECT_NE(read_xml("<a b='c'/>").error, "");
  EXPECT_NE(read_xml("<a><b id=\"i\"/><b id=\"i\"/></a>").error, "");
  EXPECT_NE(read_xml("<a>").error, "");
  EXPECT_EQ(read_xml("<a b=\"&lt;\">x<c/></a>").error, "");
}

}  // namespace
}  // namespace ebb
