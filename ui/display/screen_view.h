#pragma once

#include "app/session/vm_session.h"
#include "ui/display/screen_widget.h"
#include "ui/display/text_typist.h"

#include <QPointer>
#include <QScrollArea>
#include <QStackedWidget>
#include <memory>
#include <optional>

class QLabel;
class QPushButton;

namespace ui {

/// One of a machine's screens while it is in memory, and its card (picture, state, the button that starts it) while
/// not; in the place of both another view, while somebody looks at the machine's past.
class ScreenView final : public QStackedWidget {
    Q_OBJECT
public:
    explicit ScreenView(app::VmSession& session, QWidget* parent = nullptr);
    ~ScreenView() override;

    ScreenWidget* screen() const { return m_screen; }
    /// Shows `view`, which it takes, in the place of screen and card; null: these.
    void showInstead(QWidget* view);
    bool showsCard() const { return currentIndex() == 0; }
    /// The machine has a screen at all.
    bool hasScreen() const { return m_session.mainScreen() != nullptr; }
    /// As little as the card needs without its picture: all pages of the window are as tall as the tallest may be.
    QSize minimumSizeHint() const override;

    /// Which of the machine's displays is shown; the first, until one is chosen that it has.
    QString display() const;
    void setDisplay(QString const& id);

    int zoom() const { return m_screen->zoom(); }
    /// 0 fits; n shows n pixels for one, with scroll bars where it does not fit.
    void setZoom(int zoom);
    /// Gives the keys to the machine: now, or as soon as it has a picture.
    void focusPicture();
    void sendChord(std::vector<std::uint16_t> const& codes);
    TextTypist::LeftOut typeText(QString const& text, KeyboardLayout const& layout);
    /// What is not typed yet is left out.
    void stopTyping() { m_typist.stop(); }
    /// The same, and says so: the guest that the text was for is no more.
    void cutTyping();
    TextTypist const& typist() const { return m_typist; }
    QImage screenshot() const;
    /// A sentence over the screen or the card, for some seconds.
    void showHint(QString const& text);

    void setCardPicture(QImage const& picture);
    void setName(QString const& name);
    /// Another process, by its pid, has the machine in memory: it cannot be started here, and is suspended there.
    void setOtherOwner(std::optional<qint64> pid);
    /// While it is asked to, it need not be asked again.
    void setSuspendThereEnabled(bool enabled);

signals:
    void startRequested();
    void suspendThereRequested();
    void settingsRequested();
    void leaveRequested();
    void fullScreenRequested();
    void typingChanged(); ///< typist() is elsewhere, or idle

protected:
    void changeEvent(QEvent* event) override;
    void showEvent(QShowEvent* event) override;
    void hideEvent(QHideEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;
    bool eventFilter(QObject* watched, QEvent* event) override;

private:
    void update();
    void updateTexts();
    void updateLook();
    int cardHeightOfWords() const;
    void fitCardPicture();
    void takeFrame();
    void followDisplay();
    void showWhole();

    app::VmSession& m_session;
    QWidget* m_card;
    Hint* m_cardHint;
    QLabel *m_picture, *m_name, *m_state;
    QPushButton *m_start, *m_suspendThere, *m_settings;
    QScrollArea* m_scroll;
    ScreenWidget* m_screen;
    QString m_display; // that was chosen
    QPointer<app::ScreenSession> m_source;
    TextTypist m_typist;
    QImage m_cardPicture;
    QSize m_cardPictureSize; // empty: there is no room for it
    std::optional<qint64> m_otherOwner;
    std::optional<app::ScreenSession::Viewer> m_viewer;
    bool m_wantsFocus = false; // as soon as there is a picture
    QWidget* m_instead = nullptr;
};

}
