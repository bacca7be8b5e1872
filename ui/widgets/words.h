#pragma once

#include "app/runner/session_state.h"

#include <QColor>
#include <QString>
#include <string>

namespace ui {

/// "Running", "Suspended" …, as the library, the status line and a screen reader say it.
QString stateWord(app::SessionState state);
/// "In use by another program (process 4711)"; 0: one that has not said so.
QString otherOwnerWord(qint64 pid);
QColor stateColor(app::SessionState state);
/// "Suspending …", "Keeping a moment …" of app::Job::name.
QString jobWord(QString const& name);

/// "512 MiB", "20 GiB" in the person's own number format.
QString bytesText(quint64 bytes);
/// A path that somebody else may have written: what cannot be seen is told by a mark, and it can be broken anywhere.
QString pathText(std::string const& path);
/// "“web”, “mail”", for a sentence.
QString quotedNames(QStringList const& names);

}
