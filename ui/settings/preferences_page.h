#pragma once

#include "ui/widgets/page_frame.h"

class QComboBox;

namespace app {
class Library;
}

namespace ui {

class MessageBar;
class TrashCard;
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

private:
    MessageBar* m_messages;
    QLabel *m_looksHeading, *m_machinesHeading, *m_trashHeading, *m_usbHeading;
    QLabel *m_themeLabel, *m_languageLabel, *m_closeLabel, *m_closeHint;
    QComboBox *m_theme, *m_language, *m_close;
    TrashCard* m_trash;
    UsbRulesCard* m_usb;
};

}
