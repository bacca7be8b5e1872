#pragma once

#include "app/library/library.h"
#include "app/settings/settings.h"

#include <QWidget>

class QCheckBox;
class QLabel;
class QPushButton;
class QVBoxLayout;

namespace ui {

class MessageBar;

/// What happens to machines that run, and to settings that are not saved, when the application is closed: asked once,
/// done with progress.
class ClosingPage final : public QWidget {
    Q_OBJECT
public:
    explicit ClosingPage(app::Library& library, QWidget* parent = nullptr);

    /// OnClose::Ask asks, and tells what would be lost; all else is work().
    void begin(app::OnClose choice, QString const& unsaved = {});
    /// Without asking; finished(), background() or a message follows.
    void work(app::OnClose choice);
    /// What is under way is ended as if it had not begun, for who goes on.
    void giveUp();

signals:
    void finished();   ///< nothing runs any more
    void failed();     ///< some run on, as a message here says
    void background(); ///< the machines go on, the window goes
    void cancelled();
    void unsavedRequested(); ///< what is not saved is to be seen first

protected:
    void changeEvent(QEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;

private:
    void choose(app::OnClose choice);
    void fillRows();
    void updateTexts();
    void updateText();
    void tellNotSuspended(QStringList const& ids, vmm::Error const& error);
    void powerOffAll();

    app::Library& m_library;
    bool m_working = false, m_hasFailed = false;
    app::OnClose m_choice = app::OnClose::Ask; // being done
    QStringList m_asked;                       // machines that it is done with
    std::optional<int> m_secondsLeft;          // for the guests to shut down
    QLabel *m_title, *m_text;
    QWidget* m_rows;
    MessageBar* m_messages;
    QPushButton *m_suspend, *m_background, *m_shutDown, *m_close, *m_cancel, *m_powerOff;
    QCheckBox* m_remember;
};

}
