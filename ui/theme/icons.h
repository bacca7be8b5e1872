#pragma once

#include <QIcon>

class QApplication;

namespace ui {

/// A symbolic icon of resources/icons in the colour of the palette that it is drawn with; `color`, where valid,
/// instead.
QIcon icon(QString const& name, QColor const& color = {});

/// The application's own, in colours.
QIcon applicationIcon();

/// Lets the icon of a menu's highlighted entry have the colour of its text, from now on.
void followMenus(QApplication& application);

}
