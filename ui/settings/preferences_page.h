#pragma once

#include "ui/widgets/page_frame.h"

class QComboBox;
class QPushButton;

namespace app {
class Library;
}

namespace ui {

class MessageBar;
class UsbRulesCard;

/// The person's preferences; each takes effect as it is changed.
class PreferencesPage final : public PageFrame {
    Q_OBJECT
public:
    explicit PreferencesPage(app::Library& library, QWidget* parent = nullptr);

    void focusUsb();

signals:
    void themeChanged();

protected:
    void updateTexts() override;
    void showEvent(QShowEvent* event) override;

private:
    void measureTrash();

    app::Library& m_library;
    quint64 m_trashBytes = 0;
    MessageBar* m_messages;
    QLabel *m_looksHeading, *m_machinesHeading, *m_usbHeading;
    QLabel *m_themeLabel, *m_languageLabel, *m_closeLabel, *m_closeHint, *m_trashLabel;
    QComboBox *m_theme, *m_language, *m_close;
    QPushButton* m_emptyTrash;
    UsbRulesCard* m_usb;
};

}
