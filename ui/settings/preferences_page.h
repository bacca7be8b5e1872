#pragma once

#include "ui/widgets/page_frame.h"

class QComboBox;

namespace ui {

/// The person's preferences; each takes effect as it is changed.
class PreferencesPage final : public PageFrame {
    Q_OBJECT
public:
    explicit PreferencesPage(QWidget* parent = nullptr);

signals:
    void themeChanged();

protected:
    void updateTexts() override;

private:
    QLabel *m_looksHeading, *m_machinesHeading;
    QLabel *m_themeLabel, *m_languageLabel, *m_closeLabel, *m_closeHint;
    QComboBox *m_theme, *m_language, *m_close;
};

}
