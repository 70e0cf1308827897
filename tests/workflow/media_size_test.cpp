// SPDX-License-Identifier: Apache-2.0
// Sizes that headers of pictures and videos state. tests/comfy/media_real.py asks LoadImage.
#include <gtest/gtest.h>

#include <filesystem>

#include "ebb/workflow.h"
#include "tests/support.h"

namespace ebb {
namespace {

using std::string_literals::operator""s;

std::string number(std::size_t value, int width, bool big) {
  std::string bytes;
  for (int i = 0; i < width; ++i) {
    const int shift = 8 * (big ? width - 1 - i : i);
    bytes += static_cast<char>(value >> shift & 0xFF);
  }
  return bytes;
}
std::string big(std::size_t value, int width) { return number(value, width, true); }
std::string little(std::size_t value, int width) { return number(value, width, false); }

std::string exif(int orientation) {
  return "MM\0*"s + big(8, 4) + big(1, 2) + big(0x112, 2) + big(3, 2) + big(1, 4) +
         big(static_cast<std::size_t>(orientation), 2) + big(0, 2) + big(0, 4);
}

std::string chunk(const std::string& type, const std::string& data) {
  return big(data.size(), 4) + type + data + big(0, 4);
}
std::string png(const std::string& more) {
  return "\x89PNG\r\n\x1a\n"s + chunk("IHDR", big(96, 4) + big(40, 4) + "\x08\x02\0\0\0"s) + more +
         chunk("IDAT", "x");
}
std::string jpeg(int orientation) {
  const std::string tiff = "Exif\0\0"s + exif(orientation);
  return "\xff\xd8\xff\xe1"s + big(tiff.size() + 2, 2) + tiff + "\xff\xff\xdb"s + big(4, 2) + "ab" +
         "\xff\xc2"s + big(11, 2) + "\x08"s + big(40, 2) + big(96, 2) + "\x01\x01\x11\0"s;
}
std::string part(const std::string& type, const std::string& data) {
  return type + little(data.size(), 4) + data + (data.size() % 2 ? "\0"s : ""s);
}
std::string webp(const std::string& parts) {
  return "RIFF" + little(parts.size() + 4, 4) + "WEBP" + parts;
}
std::string canvas() { return part("VP8X", "\x08\0\0\0"s + little(95, 3) + little(39, 3)); }

std::string box(const std::string& type, const std::string& data) {
  return big(data.size() + 8, 4) + type + data;
}
std::string avif(const std::string& turn) {
  const std::string sizes = box("ispe", big(0, 4) + big(8, 4) + big(8, 4)) +
                            box("ispe", big(0, 4) + big(96, 4) + big(40, 4)) + turn;
  const std::string which =
      box("ipma", big(0, 4) + big(2, 4) + big(1, 2) + "\x01\x01"s + big(2, 2) +
                      (turn.empty() ? "\x01\x82"s : "\x02\x82\x83"s));
  return box("ftyp", "avifmif1") + box("meta", big(0, 4) + box("pitm", big(0, 4) + big(2, 2)) +
                                                   box("iprp", box("ipco", sizes) + which));
}

std::string mp4(bool on_its_side) {
  const std::string upright = big(0x10000, 4) + big(0, 4) + big(0, 4) + big(0, 4) + big(0x10000, 4);
  const std::string turned =
      big(0, 4) + big(0x10000, 4) + big(0, 4) + big(0xFFFF0000, 4) + big(0, 4);
  const std::string head =
      box("tkhd", std::string(40, '\0') + (on_its_side ? turned : upright) + std::string(24, '\0'));
  const std::string entry =
      big(86, 4) + "avc1" + std::string(24, '\0') + big(96, 2) + big(40, 2) + std::string(50, '\0');
  const std::string table =
      box("stsd", big(0, 4) + big(1, 4) + entry) + box("stsz", big(0, 4) + big(0, 4) + big(33, 4));
  const std::string media =
      box("mdia", box("mdhd", big(0, 12) + big(16000, 4) + big(33000, 4) + big(0, 4)) +
                      box("hdlr", big(0, 8) + "vide" + std::string(13, '\0')) +
                      box("minf", box("stbl", table)));
  const std::string sound = box("trak", box("mdia", box("hdlr", big(0, 8) + "soun")));
  return box("ftyp", "isomiso2") + box("mdat", std::string(9000, 'x')) +
         box("moov", sound + box("trak", head + media));
}

std::string element(std::size_t id, int width, const std::string& data) {
  return big(id, width) + big(0x4000 | data.size(), 2) + data;
}
std::string webm() {
  const std::string track =
      element(0xD7, 1, "\x01"s) + element(0x83, 1, "\x01"s) +
      element(0x23E383, 3, big(62500000, 4)) +
      element(0xE0, 1, element(0xB0, 1, big(96, 2)) + element(0xBA, 1, "\x28"s));
  const std::string other = element(0xD7, 1, "\x02"s) + element(0x83, 1, "\x02"s);
  const std::string cluster = element(0xA3, 1, "\x81\0\0\x80x"s) +
                              element(0xA3, 1, "\x82\0\0\x80x"s) +
                              element(0xA0, 1, element(0xA1, 1, "\x81\0\0\x80x"s));
  return element(0x1A45DFA3, 4, "") +
         element(0x18538067, 4,
                 element(0x1654AE6B, 4, element(0xAE, 1, other) + element(0xAE, 1, track)) +
                     element(0x1F43B675, 4, cluster));
}

MediaSize size_of(const std::string& bytes) {
  test::TempDir dir;
  const auto size = read_media_size(dir.write("a.bin", bytes));
  EXPECT_TRUE(size.ok()) << (size ? "" : to_string(size.error()));
  return size ? *size : MediaSize{};
}

const MediaSize kLying = {96, 40, 1, 0, false}, kStanding = {40, 96, 1, 0, false};

TEST(MediaSize, PicturesAreAsLoadImageGivesThem) {
  EXPECT_EQ(size_of(png("")), kLying);
  EXPECT_EQ(size_of(png(chunk("eXIf", exif(3)))), kLying);
  EXPECT_EQ(size_of(png(chunk("eXIf", exif(6)))), kStanding);
  EXPECT_EQ(size_of(png(chunk("acTL", big(5, 4) + big(0, 4)))).frames, 5);
  for (int orientation = 1; orientation <= 8; ++orientation) {
    EXPECT_EQ(size_of(jpeg(orientation)), orientation < 5 ? kLying : kStanding) << orientation;
  }
  EXPECT_EQ(size_of(webp(part("VP8 ", "\x30\0\0\x9d\x01\x2a"s + little(96, 2) + little(40, 2)))),
            kLying);
  EXPECT_EQ(size_of(webp(part("VP8L", "\x2f"s + little(95 | 39 << 14, 4)))), kLying);
  EXPECT_EQ(size_of(webp(canvas() + part("VP8 ", "pixels") + part("EXIF", exif(8)))), kStanding);
  EXPECT_EQ(size_of(webp(canvas() + part("ANMF", "a") + part("ANMF", "bb"))).frames, 2);
  const std::string block = "\x2c"s + std::string(9, '\0') + "\x02\x02xx\0"s;
  EXPECT_EQ(size_of("GIF89a" + little(96, 2) + little(40, 2) + "\x80\0\0"s + std::string(6, '\0') +
                    "\x21\xf9\x04xxxx\0"s + block + block + ";")
                .frames,
            2);
  EXPECT_EQ(
      size_of("BM" + std::string(12, '\0') + little(40, 4) + little(96, 4) + little(0xFFFFFFD8, 4)),
      kLying);  // from the top down: -40
  EXPECT_EQ(size_of(avif("")), kLying);
  EXPECT_EQ(size_of(avif(box("irot", "\x01"))), kStanding);
}

TEST(MediaSize, VideosHaveFramesAndTheirRate) {
  EXPECT_EQ(size_of(mp4(false)), (MediaSize{96, 40, 33, 16, true}));
  EXPECT_EQ(size_of(mp4(true)), (MediaSize{40, 96, 33, 16, true}));
  EXPECT_EQ(size_of(webm()), (MediaSize{96, 40, 2, 16, true}));
}

TEST(MediaSize, BrokenOnesAreAnErrorOrASizeThatMakesSense) {
  test::TempDir dir;
  for (const std::string& whole :
       {png(chunk("eXIf", exif(6))), jpeg(6), webp(canvas()), avif(""), mp4(false), webm()}) {
    for (std::size_t cut = 0; cut < whole.size(); cut += 1 + cut / 200) {
      const auto size = read_media_size(dir.write("a.bin", whole.substr(0, cut)));
      EXPECT_TRUE(!size || (size->width > 0 && size->height > 0 && size->frames >= 0)) << cut;
    }
  }
  EXPECT_FALSE(read_media_size(dir.write("a.txt", "hello")).ok());
  EXPECT_FALSE(read_media_size(dir.path().string()).ok());
  // A box that says it is longer than any file, and one without an end.
  EXPECT_FALSE(read_media_size(dir.write("a.mp4", box("ftyp", "isom") + big(1, 4) + "moov" +
                                                      std::string(8, '\xff')))
                   .ok());
  EXPECT_FALSE(
      read_media_size(dir.write("b.webm", "\x1a\x45\xdf\xa3"s + std::string(4096, '\xff'))).ok());
}

TEST(MediaSize, FilesAreThoseOfComfyUisFolders) {
  test::TempDir dir;
  std::filesystem::create_directories(dir.path() / "input/sub");
  std::filesystem::create_directories(dir.path() / "output");
  dir.write("input/a.png", "a");
  dir.write("input/sub/b.png", "b");
  dir.write("output/c.png", "c");
  dir.write("secret.png", "s");
  const MediaFolders folders{dir.path() / "input", dir.path() / "output", ""};
  const auto found = [&](std::string_view name) { return !locate_media(folders, name).empty(); };
  EXPECT_TRUE(found("a.png"));
  EXPECT_TRUE(found("sub/b.png"));
  EXPECT_TRUE(found("a.png [input]"));
  EXPECT_TRUE(found("c.png [output]"));
  EXPECT_FALSE(found("c.png"));
  EXPECT_FALSE(found("a.png [temp]"));
  EXPECT_FALSE(found("sub"));
  EXPECT_FALSE(found("../secret.png"));
  EXPECT_FALSE(found("sub/../../secret.png"));
  EXPECT_FALSE(found((dir.path() / "secret.png").string()));
  EXPECT_FALSE(found(""));
}

}  // namespace
}  // namespace ebb
