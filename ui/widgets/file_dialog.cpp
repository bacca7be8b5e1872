#include "ui/widgets/file_dialog.h"

#include <QEvent>
#include <QFileDialog>

namespace ui {

namespace {

// Without a Q_OBJECT: Qt shows the desktop's own dialog for nothing that has a name of its own.
class FileDialog final : public QFileDialog {
public:
    FileDialog(QWidget* owner, QString const& title, QString const& folder, QString const& filter)
        : QFileDialog(owner, title, folder, filter)
    {
        setFileMode(QFileDialog::ExistingFile);
        setAttribute(Qt::WA_DeleteOnClose);
        owner->installEventFilter(this);
    }

protected:
    bool eventFilter(QObject* watched, QEvent* event) override
    {
        if (watched == parent() && event->type() == QEvent::Hide && !event->spontaneous())
            close();
        return QFileDialog::eventFilter(watched, event);
    }
};

}

QFileDialog* fileDialog(QWidget* owner, QString const& title, QString const& folder, QString const& filter)
{
    for (auto* open : owner->findChildren<QFileDialog*>(QString(), Qt::FindDirectChildrenOnly)) {
        if (!open->isVisible() || open->windowTitle() != title)
            continue;
        QObject::disconnect(open, &QFileDialog::fileSelected, nullptr, nullptr);
        open->raise();
        open->activateWindow();
        return open;
    }
    return new FileDialog(owner, title, folder, filter);
}

void closeFileDialogs(QWidget const* owner)
{
    for (auto* dialog : owner->findChildren<QFileDialog*>(QString(), Qt::FindDirectChildrenOnly))
        dialog->close();
}

}
