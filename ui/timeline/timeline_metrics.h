#pragma once

/// Lengths of the timeline, in pixels of the widget.
namespace ui::metrics {

constexpr int top = 6, left = 44, right = 44;
constexpr int laneHeight = 62, lineInLane = 22; ///< a lane, and where its line is in it
constexpr int pictureWidth = 66, pictureHeight = 40;
constexpr int timesHeight = 18;
constexpr double mostLanes = 2.5; ///< are shown at a time
/// Pixels for a step: where nobody has zoomed between the first two; zoomed in up to the last.
constexpr double leastScale = 16, usualScale = 84, mostScale = 240;
constexpr double zoomStep = 1.25;
constexpr int pixmapBytes = 24 << 20; ///< of pictures as they are painted

}
