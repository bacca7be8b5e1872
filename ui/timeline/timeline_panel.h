#pragma once

#include "app/session/timeline_session.h"
#include "ui/timeline/timeline_axis.h"
#include "ui/widgets/problem.h"

#include <QFrame>
#include <QTimer>

class QLabel;
class QLineEdit;
class QMenu;
class QPlainTextEdit;
class QProgressBar;
class QPushButton;
class QToolButton;

namespace app {
class VmSession;
}

namespace ui {

class CompareView;
class ElidedLabel;
class PastView;

/// A machine's past under its screen: the axis, what it takes and how much changes, and the work on it. While a moment
/// is selected, its picture wants the place of the screen, and two of them do while they are compared.
class TimelinePanel final : public QFrame {
    Q_OBJECT
public:
    explicit TimelinePanel(app::VmSession& session, QWidget* parent = nullptr);

    TimelineAxis* axis() const { return m_axis; }
    PastView* past() const { return m_past; }
    /// Null until two moments are compared.
    CompareView* comparison() const { return m_compare; }
    app::TimelineSession& timeline() const { return m_timeline; }
    /// Another process, by its pid, has the machine in memory: its present is kept, and left, there alone.
    void setOtherOwner(std::optional<qint64> pid);
    /// Why the present cannot be kept now; empty: it can.
    QString whyNotKeep() const;
    void keep();
    /// Of what is now.
    void fork();
    /// Keeps the present, or asks where that is not possible.
    void goTo(QString const& id);

signals:
    /// `view` is to be seen in the place of the screen; null: the screen itself.
    void viewWanted(QWidget* view);
    /// Another machine shall go on from that moment; empty: from the present, which is kept first. `title`: its name.
    void forkRequested(QString moment, QString title);
    void importRequested();
    /// What keep() and fork() ask has changed.
    void possibilitiesChanged();
    void problem(ui::Problem problem, std::function<void()> remedy);
    void notice(QString text, QString button, std::function<void()> action);
    void leaveRequested();

protected:
    void changeEvent(QEvent* event) override;
    void showEvent(QShowEvent* event) override;
    void hideEvent(QHideEvent* event) override;

private:
    enum class Editing : std::uint8_t { Nothing, Name, Note };

    void makeFooter();
    // What most people never open is made when it is.
    void makeEditor();
    void makeComparison();
    void perform(TimelineAxis::Request request);
    void performOn(TimelineAxis::Request request, app::MomentEntry const& moment);
    void remove(app::MomentEntry const& moment);
    void undoRemove();
    void exportMoment(app::MomentEntry const& moment, app::TimelineSession::Form form);
    void showUnreadable();
    void showMenu();
    void edit(Editing what, app::MomentEntry const& moment);
    void endEditing(bool save);
    void showSelected();
    void findDiskCosts();
    void showPictureOfSelected();
    void foreseeUsb();
    void markOrCompare(QString const& id);
    void endComparing();
    void showComparedPictures();
    void fail(app::TimelineSession::Step step, QString const& id, vmm::Error const& error);
    void tell(QString const& text);
    void updateFooter();
    void updateTexts();
    void updateEditorTexts();
    void focusChanged(QWidget* now);
    QString whyNotGo() const;
    QString usualName() const;

    app::VmSession& m_session;
    app::TimelineSession& m_timeline;
    PastView* m_past;
    CompareView* m_compare = nullptr;
    TimelineAxis* m_axis;
    QFrame *m_footer, *m_editor = nullptr;
    ElidedLabel *m_words, *m_summary;
    QProgressBar* m_progress;
    QPushButton *m_cancel, *m_unreadable, *m_save = nullptr, *m_dontSave = nullptr;
    QToolButton *m_closer, *m_farther;
    QLabel* m_editorTitle = nullptr;
    QLineEdit* m_name = nullptr;
    QPlainTextEdit* m_note = nullptr;
    QMenu* m_menu;
    QTimer m_toldTimer, m_usbTimer;
    std::optional<qint64> m_otherOwner;
    Editing m_editing = Editing::Nothing;
    QString m_edited, m_told, m_shownWork;
    QString m_foreseen;        // the moment that USB devices are told of, or are about to be
    QString m_before, m_after; // what is compared; empty: nothing
};

}
