#pragma once

class QFileDialog;
class QString;
class QWidget;

namespace ui {

/// A dialog that asks for a file of `owner` and stops nothing meanwhile: the caller connects it, and shows it. It goes
/// with its owner. One that is open with this title comes to the front, and is asked anew.
QFileDialog* fileDialog(QWidget* owner, QString const& title, QString const& folder, QString const& filter);
/// What they asked for is no longer wanted.
void closeFileDialogs(QWidget const* owner);

}
