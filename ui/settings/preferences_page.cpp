#include "ui/settings/preferences_page.h"

#include "app/settings/settings.h"
#include "ui/settings/language.h"
#include "ui/settings/trash_card.h"
#include "ui/theme/theme.h"
#include "ui/usb/usb_rules_card.h"
#include "ui/widgets/message_bar.h"

#include <QApplication>
#include <QComboBox>
#include <QGridLayout>
#include <QLabel>
#include <QSignalBlocker>

namespace ui {

PreferencesPage::PreferencesPage(app::Library& library, QWidget* parent)
    : PageFrame(parent),
      m_messages(new MessageBar),
      m_theme(new QComboBox),
      m_language(new QComboBox),
      m_close(new QComboBox),
      m_trash(new TrashCard(library)),
      m_usb(new UsbRulesCard(library))
{
    above()->addWidget(m_messages);
    auto addField = [](QGridLayout* grid, QLabel*& label, QWidget* field) {
        label = new QLabel;
        label->setBuddy(field);
        auto const row = grid->rowCount();
        grid->addWidget(label, row, 0);
        grid->addWidget(field, row, 1);
    };
    auto makeGrid = [](QVBoxLayout* card) {
        auto* grid = new QGridLayout;
        grid->setHorizontalSpacing(14);
        grid->setVerticalSpacing(9);
        grid->setColumnStretch(1, 1);
        card->addLayout(grid);
        return grid;
    };
    auto* looks = makeGrid(addCard(m_looksHeading));
    addField(looks, m_themeLabel, m_theme);
    addField(looks, m_languageLabel, m_language);
    auto* machinesCard = addCard(m_machinesHeading);
    addField(makeGrid(machinesCard), m_closeLabel, m_close);
    m_closeHint = new QLabel;
    m_closeHint->setProperty("quiet", true);
    m_closeHint->setWordWrap(true);
    machinesCard->addWidget(m_closeHint);
    addCard(m_trashHeading)->addWidget(m_trash);
    addCard(m_usbHeading)->addWidget(m_usb);
    content()->addStretch(1);

    connect(m_theme, &QComboBox::activated, this, [this](int index) {
        settings::theme.set(static_cast<Theme>(index));
        applyTheme(*qApp);
        emit themeChanged();
    });
    connect(m_language, &QComboBox::activated, this, [this](int index) {
        settings::language.set(m_language->itemData(index).toString());
        applyLanguage();
    });
    connect(m_close, &QComboBox::activated, this,
        [](int index) { app::settings::onClose.set(static_cast<app::OnClose>(index)); });
    connect(m_usb, &UsbRulesCard::partShown, this, &PreferencesPage::ensureVisible);
    connect(m_usb, &UsbRulesCard::failed, this, [this](std::optional<vmm::Error> const& error) {
        error ? m_messages->showProblem(problemFor(Task::ChangeUsbRules, *error)) : m_messages->dismiss();
    });
    updateTexts();
}

void PreferencesPage::focusUsb()
{
    m_usb->focusFirst();
    ensureVisible(m_usb);
}

void PreferencesPage::updateTexts()
{
    setTitle(tr("Preferences"));
    m_looksHeading->setText(tr("Looks"));
    m_machinesHeading->setText(tr("Machines"));
    m_trashHeading->setText(tr("Removed machines"));
    m_usbHeading->setText(tr("USB devices"));
    m_themeLabel->setText(tr("&Colours"));
    m_languageLabel->setText(tr("&Language"));
    m_closeLabel->setText(tr("When the application is closed, machines that &run are"));
    m_closeHint->setText(tr("A suspended machine goes on where it was when it is restored."));
    m_theme->setAccessibleName(tr("Colours"));
    m_language->setAccessibleName(tr("Language"));
    m_close->setAccessibleName(tr("When the application is closed"));
    auto fill = [](QComboBox* box, QStringList const& items, int index) {
        QSignalBlocker const blocker(box);
        box->clear();
        box->addItems(items);
        box->setCurrentIndex(index);
    };
    fill(m_theme, { tr("As the desktop"), tr("Light"), tr("Dark") }, static_cast<int>(settings::theme()));
    // In the order of app::OnClose.
    fill(m_close, { tr("suspended"), tr("kept running in the background"), tr("shut down"), tr("what I say then") },
        static_cast<int>(app::settings::onClose()));
    QSignalBlocker const blocker(m_language);
    m_language->clear();
    m_language->addItem(tr("As the desktop"), QString());
    for (auto const& code : languages())
        m_language->addItem(languageName(code), code);
    m_language->setCurrentIndex(std::max(0, m_language->findData(settings::language())));
}

}
