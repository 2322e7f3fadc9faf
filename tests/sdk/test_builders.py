"""Builders and constants: `flora.md` 2.6, 2.7 and cases K4, K5."""

from __future__ import annotations

from flora.engine.host import Engine

from .guilds import values

REFUSED = "InvalidInputError: Invalid input for "


async def check(engine: Engine, cases: dict[str, object]) -> None:
    found = await values(engine, list(cases))
    assert dict(zip(cases, found, strict=True)) == cases


async def test_embeds(engine: Engine) -> None:
    chain = (
        'embed().setTitle("T").setDescription("D").setUrl("u").setColor(0x44aa66).setTimestamp("2024-01-01T00:00:00Z")'
        '.setFooter("F", "i").setImage("a").setThumbnail("b").setAuthor("A", { url: "c", iconUrl: "d" })'
        '.addField("n", "v").addFields([{ name: "m", value: "w", inline: true }])'
    )
    await check(
        engine,
        {
            chain: {
                "title": "T",
                "description": "D",
                "url": "u",
                "color": 0x44AA66,
                "timestamp": "2024-01-01T00:00:00Z",
                "footer": {"text": "F", "iconUrl": "i"},
                "image": {"url": "a"},
                "thumbnail": {"url": "b"},
                "author": {"name": "A", "url": "c", "iconUrl": "d"},
                "fields": [
                    {"name": "n", "value": "v", "inline": False},
                    {"name": "m", "value": "w", "inline": True},
                ],
            },
            'embed({ title: "a", color: 1 }).setTitle("b")': {"title": "b", "color": 1},
            'new EmbedBuilder().setFields([{ name: "n", value: "v" }]).setFields([])': {"fields": []},
            '(() => { const b = embed(); const j = b.toJSON(); b.setTitle("x"); return j; })()': {},
        },
    )


async def test_component_vectors(engine: Engine) -> None:
    await check(
        engine,
        {
            'actionRow().addComponents(button().setCustomId("a").setLabel("A").setStyle(ButtonStyle.Primary),'
            ' button().setUrl("u").setLabel("D"))': {
                "type": 1,
                "components": [
                    {"type": 2, "custom_id": "a", "label": "A", "style": 1},
                    {"type": 2, "style": 5, "url": "u", "label": "D"},
                ],
            },
            "section()": {"type": 9, "components": [], "accessory": None},
            'label("L")': {"type": 18, "label": "L", "component": None},
            "separator().setSpacing('large')": {"type": 14, "divider": True, "spacing": "large"},
            'container().addComponents(textDisplay("x")).setAccentColor(1).setSpoiler()': {
                "type": 17,
                "components": [{"type": 10, "content": "x"}],
                "accent_color": 1,
                "spoiler": True,
            },
            "roleSelect('r').addDefaultRole('1').addDefaultValue('2','role')": {
                "type": 6,
                "custom_id": "r",
                "default_roles": ["1"],
                "default_values": [{"id": "2", "type": "role"}],
            },
        },
    )


async def test_the_other_components(engine: Engine) -> None:
    await check(
        engine,
        {
            'button().setSkuId("5").setEmoji("🌱").setDisabled()': {
                "type": 2,
                "style": 6,
                "sku_id": "5",
                "emoji": {"name": "🌱"},
                "disabled": True,
            },
            'button().setEmoji("<:fern:12>")': {
                "type": 2,
                "emoji": {"id": "12", "name": "fern", "animated": False},
            },
            'stringSelect("s").addOptions({ label: "a", value: "1" }, { label: "b", value: "2" })'
            '.setPlaceholder("p").setMinValues(0).setMaxValues(2).setRequired(false)': {
                "type": 3,
                "custom_id": "s",
                "options": [{"label": "a", "value": "1"}, {"label": "b", "value": "2"}],
                "placeholder": "p",
                "min_values": 0,
                "max_values": 2,
                "required": False,
            },
            'userSelect("s").setDefaultUsers(["1"])': {"type": 5, "custom_id": "s", "default_users": ["1"]},
            'mentionableSelect("s")': {"type": 7, "custom_id": "s"},
            'channelSelect("s").setChannelTypes([0]).addDefaultChannel("3")': {
                "type": 8,
                "custom_id": "s",
                "channel_types": [0],
                "default_channels": ["3"],
            },
            'inputText("i").setStyle(InputTextStyle.Paragraph).setMinLength(1).setMaxLength(9)'
            '.setRequired().setValue("v").setPlaceholder("p")': {
                "type": 4,
                "custom_id": "i",
                "style": 2,
                "min_length": 1,
                "max_length": 9,
                "required": True,
                "value": "v",
                "placeholder": "p",
            },
            'section().addComponents(textDisplay("a"))'
            '.setAccessory(thumbnail("u").setDescription("d").setSpoiler())': {
                "type": 9,
                "components": [{"type": 10, "content": "a"}],
                "accessory": {"type": 11, "media": {"url": "u"}, "description": "d", "spoiler": True},
            },
            'mediaGallery().addItem("u", { description: "d" })': {
                "type": 12,
                "items": [{"media": {"url": "u"}, "description": "d"}],
            },
            'file("attachment://a").setSpoiler()': {
                "type": 13,
                "file": {"url": "attachment://a"},
                "spoiler": True,
            },
            "separator(false).setSpacing(1)": {"type": 14, "divider": False, "spacing": 1},
            'label("L").setDescription("d").setComponent(fileUpload("f").setMinValues(1).setMaxValues(3))': {
                "type": 18,
                "label": "L",
                "component": {"type": 19, "custom_id": "f", "min_values": 1, "max_values": 3},
                "description": "d",
            },
            "actionRow().addComponents([{ type: 2, style: 5 }], [])": {
                "type": 1,
                "components": [{"type": 2, "style": 5}],
            },
        },
    )


async def test_wrong_values_are_refused_where_they_are_written(engine: Engine) -> None:
    await check(
        engine,
        {
            'embed().setTitle("x".repeat(257))': REFUSED + "embed.title: "
            "text of 0 to 256 characters is needed, this has 257",
            "embed().setColor('red')": REFUSED + "embed.color: "
            "a whole number from 0 to 16777215 is needed, not red",
            "embed().setFields(Array(26).fill({ name: 'n', value: 'v' }))": REFUSED
            + "embed.fields: Discord takes at most 25, these are 26",
            'button().setCustomId("")': REFUSED + "customId: "
            "text of 1 to 100 characters is needed, this has 0",
            "stringSelect()": REFUSED + "customId: text is needed, not undefined",
            "actionRow().addComponents(...Array(6).fill(button()))": REFUSED
            + "actionRow.components: Discord takes at most 5, these are 6",
            "container().addComponents('text')": REFUSED + "components: "
            "a component must be a builder or an object",
            "separator().setSpacing('huge')": REFUSED + "separator.spacing: "
            '1, 2, "small" or "large" is needed, not huge',
        },
    )


async def test_constants(engine: Engine) -> None:
    await check(
        engine,
        {
            "ButtonStyle": {"Primary": 1, "Secondary": 2, "Success": 3, "Danger": 4},
            "ButtonStyle === ButtonStyles && InputTextStyle === InputTextStyles": True,
            "InputTextStyles": {"Short": 1, "Paragraph": 2},
            "Object.values(ComponentType)": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 17, 18, 19],
            "Object.values(MessageFlags)": [1, 2, 4, 8, 16, 32, 64, 128, 256, 4096, 8192, 32768],
            "String(PermissionFlags.PinMessages)": str(1 << 51),
        },
    )


async def test_permissions_are_bit_strings(engine: Engine) -> None:
    await check(
        engine,
        {
            "permissionBits(['KickMembers', 'BanMembers'])": "6",
            "permissionBits(['KickMembers', 8n, '32'])": "42",
            "permissionBits([])": "0",
            "permissionBits('Fly')": REFUSED + 'permissions: "Fly" is no permission; '
            "see PermissionFlags for the names",
            "hasPermission('6', 'KickMembers', 'BanMembers')": True,
            "hasPermission('2', 'KickMembers', 'BanMembers')": False,
            "hasPermission('8', 'BanMembers')": True,
            "hasPermission({ msg: { member: null } }, 'BanMembers')": False,
            "hasRole({ msg: { member: { roles: ['5'] } } }, '5')": True,
            "hasRole({ msg: {} }, '5')": False,
        },
    )
