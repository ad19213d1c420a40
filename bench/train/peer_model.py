"""YOLOv8n, and its neck and head on StarNet-s1, as plain torch modules.

Parameters bear the names of the published checkpoints, so that weights can be taken over by name.
Sources: YOLOv8's model tables; Rewrite the Stars, Ma et al. 2024.
"""

import math

import torch
from torch import nn


class Conv(nn.Module):
    def __init__(self, c1, c2, k=1, s=1):
        super().__init__()
        self.conv = nn.Conv2d(c1, c2, k, s, k // 2, bias=False)
        self.bn = nn.BatchNorm2d(c2, eps=1e-3, momentum=0.03)
        self.act = nn.SiLU(inplace=True)

    def forward(self, x):
        return self.act(self.bn(self.conv(x)))


class Bottleneck(nn.Module):
    def __init__(self, c, shortcut):
        super().__init__()
        self.cv1 = Conv(c, c, 3)
        self.cv2 = Conv(c, c, 3)
        self.shortcut = shortcut

    def forward(self, x):
        y = self.cv2(self.cv1(x))
        return x + y if self.shortcut else y


class C2f(nn.Module):
    def __init__(self, c1, c2, n=1, shortcut=False):
        super().__init__()
        c = c2 // 2
        self.cv1 = Conv(c1, 2 * c)
        self.cv2 = Conv((2 + n) * c, c2)
        self.m = nn.ModuleList(Bottleneck(c, shortcut) for _ in range(n))

    def forward(self, x):
        y = list(self.cv1(x).chunk(2, 1))
        for m in self.m:
            y.append(m(y[-1]))
        return self.cv2(torch.cat(y, 1))


class SPPF(nn.Module):
    def __init__(self, c1, c2, k=5):
        super().__init__()
        self.cv1 = Conv(c1, c1 // 2)
        self.cv2 = Conv(c1 // 2 * 4, c2)
        self.pool = nn.MaxPool2d(k, 1, k // 2)

    def forward(self, x):
        y = [self.cv1(x)]
        for _ in range(3):
            y.append(self.pool(y[-1]))
        return self.cv2(torch.cat(y, 1))


class Detect(nn.Module):
    def __init__(self, classes, channels, bins=16):
        super().__init__()
        c2 = max(16, channels[0] // 4, 4 * bins)
        c3 = max(channels[0], min(classes, 100))
        self.cv2 = nn.ModuleList(
            nn.Sequential(Conv(c, c2, 3), Conv(c2, c2, 3), nn.Conv2d(c2, 4 * bins, 1)) for c in channels)
        self.cv3 = nn.ModuleList(
            nn.Sequential(Conv(c, c3, 3), Conv(c3, c3, 3), nn.Conv2d(c3, classes, 1)) for c in channels)
        for level, (box, cls) in enumerate(zip(self.cv2, self.cv3)):
            nn.init.constant_(box[-1].bias, 1.0)
            nn.init.constant_(cls[-1].bias, math.log(5 / classes / (640 / (8 << level)) ** 2))

    def forward(self, maps):
        return [torch.cat((self.cv2[i](x), self.cv3[i](x)), 1) for i, x in enumerate(maps)]


class ConvNorm(nn.Module):
    def __init__(self, c1, c2, k=1, s=1, groups=1, norm=True):
        super().__init__()
        self.conv = nn.Conv2d(c1, c2, k, s, k // 2, groups=groups)
        self.bn = nn.BatchNorm2d(c2) if norm else nn.Identity()

    def forward(self, x):
        return self.bn(self.conv(x))


class StarBlock(nn.Module):
    def __init__(self, c, ratio=4):
        super().__init__()
        self.dwconv = ConvNorm(c, c, 7, groups=c)
        self.f1 = ConvNorm(c, ratio * c, norm=False)
        self.f2 = ConvNorm(c, ratio * c, norm=False)
        self.g = ConvNorm(ratio * c, c)
        self.dwconv2 = ConvNorm(c, c, 7, groups=c, norm=False)
        self.act = nn.ReLU6()

    def forward(self, x):
        y = self.dwconv(x)
        return x + self.dwconv2(self.g(self.act(self.f1(y)) * self.f2(y)))


class StarNet(nn.Module):
    def __init__(self, width=24, depths=(2, 2, 8, 3)):
        super().__init__()
        self.stem = nn.Sequential(ConvNorm(3, 32, 3, 2), nn.ReLU6())
        self.channels, self.stages, c1 = [], nn.ModuleList(), 32
        for stage, depth in enumerate(depths):
            c2 = width << stage
            self.stages.append(nn.Sequential(ConvNorm(c1, c2, 3, 2), *(StarBlock(c2) for _ in range(depth))))
            self.channels.append(c2)
            c1 = c2

    def forward(self, x):
        x = self.stem(x)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps[1:]


class SeriesActivation(nn.Module):
    def __init__(self, c, n=3):
        super().__init__()
        self.conv = nn.Conv2d(c, c, 2 * n + 1, 1, n, groups=c, bias=False)
        self.bn = nn.BatchNorm2d(c, eps=1e-6)

    def forward(self, x):
        return self.bn(self.conv(torch.relu(x)))


class VanillaNet5(nn.Module):
    """As it is trained: pairs of 1x1 convolutions, with a slope of 1 between them that an epoch's schedule lowers.
    Source: Chen et al. 2023."""

    def __init__(self, channels=(512, 1024, 2048, 4096)):
        super().__init__()
        norm = lambda c: nn.BatchNorm2d(c, eps=1e-6)
        stem = channels[0]
        self.stem1 = nn.Sequential(nn.Conv2d(3, stem, 4, 4), norm(stem))
        self.stem2 = nn.Sequential(nn.Conv2d(stem, stem, 1), norm(stem), SeriesActivation(stem))
        self.stages = nn.ModuleList()
        for c1, c2 in zip(channels, channels[1:]):
            self.stages.append(nn.ModuleList([
                nn.Sequential(nn.Conv2d(c1, c1, 1), norm(c1)),
                nn.Sequential(nn.Conv2d(c1, c2, 1), norm(c2), nn.MaxPool2d(2), SeriesActivation(c2))]))
        self.channels, self.slope = list(channels), 0.5

    def forward(self, x):
        leaky = lambda x: torch.nn.functional.leaky_relu(x, self.slope)
        x = self.stem2(leaky(self.stem1(x)))
        maps = []
        for first, second in self.stages:
            x = second(leaky(first(x)))
            maps.append(x)
        return maps


class Published(nn.Module):
    """Backbones as torchvision and timm have them; their maps at strides 8, 16 and 32."""

    TIMM = {"efficientnet_b0": "efficientnet_b0", "pp_lcnet_x1_0": "lcnet_100"}

    def __init__(self, name):
        super().__init__()
        if name in self.TIMM:
            import timm
            self.features = timm.create_model(self.TIMM[name], pretrained=False, features_only=True, out_indices=(2, 3, 4))
            self.channels = self.features.feature_info.channels()
        else:
            import torchvision
            from torchvision.models.feature_extraction import create_feature_extractor
            network = getattr(torchvision.models, name)(weights=None)
            self.features = create_feature_extractor(network, ["stage2", "stage3", "stage4"])
            self.channels = [network.stage2[-1].branch2[5].out_channels * 2, network.stage3[-1].branch2[5].out_channels * 2,
                             network.stage4[-1].branch2[5].out_channels * 2]

    def forward(self, x):
        maps = self.features(x)
        return list(maps.values()) if isinstance(maps, dict) else maps


class Yolo(nn.Module):
    """Lines of the model's table under their numbers: `model.<number>`. Returns the three raw maps."""

    def __init__(self, classes, backbone=None):
        super().__init__()
        if backbone:
            own = {"starnet_s1": StarNet, "vanillanet_5": VanillaNet5}
            features = own[backbone]() if backbone in own else Published(backbone)
            c3, c4, c5 = features.channels[-3:]
            first = [features, SPPF(c5, 256)]
        else:
            c3, c4, c5 = 64, 128, 256
            first = [Conv(3, 16, 3, 2), Conv(16, 32, 3, 2), C2f(32, 32, 1, True), Conv(32, 64, 3, 2),
                     C2f(64, 64, 2, True), Conv(64, 128, 3, 2), C2f(128, 128, 2, True),
                     Conv(128, 256, 3, 2), C2f(256, 256, 1, True), SPPF(256, 256)]
        neck = [nn.Identity(), nn.Identity(), C2f(256 + c4, 128), nn.Identity(), nn.Identity(), C2f(128 + c3, 64),
                Conv(64, 64, 3, 2), nn.Identity(), C2f(192, 128), Conv(128, 128, 3, 2), nn.Identity(),
                C2f(384, 256), Detect(classes, (64, 128, 256))]
        self.model = nn.ModuleList(first + neck)
        self.on_backbone = bool(backbone)
        self.up = nn.Upsample(scale_factor=2, mode="nearest")

    def forward(self, x):
        m = self.model
        if self.on_backbone:
            p3, p4, x = m[0](x)
            p5 = m[1](x)
        else:
            p3 = m[4](m[3](m[2](m[1](m[0](x)))))
            p4 = m[6](m[5](p3))
            p5 = m[9](m[8](m[7](p4)))
        n = len(m) - 13
        q4 = m[n + 2](torch.cat((self.up(p5), p4), 1))
        n3 = m[n + 5](torch.cat((self.up(q4), p3), 1))
        n4 = m[n + 8](torch.cat((m[n + 6](n3), q4), 1))
        n5 = m[n + 11](torch.cat((m[n + 9](n4), p5), 1))
        return m[n + 12]([n3, n4, n5])
