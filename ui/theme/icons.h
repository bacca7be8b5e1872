#pragma once

#include <QIcon>

namespace ui {

/// A symbolic icon of resources/icons in the colour of the palette that it is drawn with; `color`, where valid,
/// instead.
QIcon icon(QString const& name, QColor const& color = {});

/// The application's own, in colours.
QIcon applicationIcon();

}
